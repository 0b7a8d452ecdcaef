WITH "t2" AS (
  SELECT
    "t1"."device",
    "t1"."sequence",
    "t1"."event_time",
    "t1"."pollution",
    "t1"."dew",
    "t1"."temp",
    "t1"."press",
    "t1"."wnd_dir",
    "t1"."wnd_spd",
    "t1"."snow",
    "t1"."rain",
    "t1"."hour",
    ROW_NUMBER() OVER (PARTITION BY "t1"."device", "t1"."hour" ORDER BY "t1"."sequence" DESC) - 1 AS "place"
  FROM (
    SELECT
      "t0"."device",
      "t0"."sequence",
      "t0"."event_time",
      "t0"."pollution",
      "t0"."dew",
      "t0"."temp",
      "t0"."press",
      "t0"."wnd_dir",
      "t0"."wnd_spd",
      "t0"."snow",
      "t0"."rain",
      CAST(FLOOR(CAST(TO_UNIXTIME("t0"."event_time") AS DOUBLE) / 3600) AS BIGINT) AS "hour"
    FROM "readings" AS "t0"
  ) AS "t1"
)
SELECT
  *
FROM (
  SELECT
    "t16"."device",
    "t16"."hour",
    "t16"."target",
    "t16"."value",
    "t16"."complete",
    "t16"."log_level",
    "t16"."level",
    "t16"."is_zero",
    "t16"."level_if_zero",
    "t16"."log_level_change_1h",
    "t16"."log_level_change_2h",
    "t16"."log_level_change_3h",
    "t16"."log_level_change_5h",
    "t16"."log_level_change_8h",
    "t16"."log_level_change_11h",
    "t16"."log_level_change_17h",
    "t16"."log_level_change_23h",
    "t16"."level_change_1h",
    "t16"."level_change_2h",
    "t16"."level_change_3h",
    "t16"."log_mean_6h",
    "t16"."log_mean_24h",
    "t16"."log_mean_72h",
    "t16"."log_maximum_6h",
    "t16"."log_minimum_6h",
    "t16"."log_movement_6h",
    "t16"."log_maximum_24h",
    "t16"."log_minimum_24h",
    "t16"."log_movement_24h",
    "t16"."dew",
    "t16"."dew_change_1h",
    "t16"."dew_change_3h",
    "t16"."dew_change_6h",
    "t16"."dew_change_24h",
    "t16"."temp",
    "t16"."temp_change_1h",
    "t16"."temp_change_3h",
    "t16"."temp_change_6h",
    "t16"."temp_change_24h",
    "t16"."press",
    "t16"."press_change_1h",
    "t16"."press_change_3h",
    "t16"."press_change_6h",
    "t16"."press_change_24h",
    "t16"."wind",
    "t16"."wind_change_1h",
    "t16"."wind_change_3h",
    "t16"."wind_change_6h",
    "t16"."wind_change_24h",
    "t16"."direction_0",
    "t16"."direction_0_share_12h",
    "t16"."direction_1",
    "t16"."direction_1_share_12h",
    "t16"."direction_2",
    "t16"."direction_2_share_12h",
    "t16"."direction_3",
    "t16"."direction_3_share_12h",
    "t16"."log_snow",
    "t16"."log_rain",
    "t16"."day_sine_1",
    "t16"."day_cosine_1",
    "t16"."day_sine_2",
    "t16"."day_cosine_2",
    "t16"."year_sine",
    "t16"."year_cosine"
  FROM (
    SELECT
      *
    FROM (
      SELECT
        "t14"."device",
        "t14"."hour",
        "t14"."was_read",
        "t14"."target",
        "t14"."pollution" AS "value",
        COUNT("t14"."pollution") OVER (
          PARTITION BY "t14"."device"
          ORDER BY "t14"."hour" ASC
          ROWS BETWEEN 23 preceding AND CURRENT ROW
        ) = 24 AS "complete",
        "t14"."log_level",
        "t14"."level",
        "t14"."is_zero",
        IF("t14"."is_zero" = 1, "t14"."level", "t14"."is_zero") AS "level_if_zero",
        "t14"."log_level" - LAG("t14"."log_level", 1) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_1h",
        "t14"."log_level" - LAG("t14"."log_level", 2) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_2h",
        "t14"."log_level" - LAG("t14"."log_level", 3) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_3h",
        "t14"."log_level" - LAG("t14"."log_level", 5) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_5h",
        "t14"."log_level" - LAG("t14"."log_level", 8) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_8h",
        "t14"."log_level" - LAG("t14"."log_level", 11) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_11h",
        "t14"."log_level" - LAG("t14"."log_level", 17) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_17h",
        "t14"."log_level" - LAG("t14"."log_level", 23) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "log_level_change_23h",
        "t14"."level" - LAG("t14"."level", 1) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "level_change_1h",
        "t14"."level" - LAG("t14"."level", 2) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "level_change_2h",
        "t14"."level" - LAG("t14"."level", 3) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "level_change_3h",
        LN(
          AVG("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 5 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_mean_6h",
        LN(
          AVG("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 23 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_mean_24h",
        LN(
          AVG("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 71 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_mean_72h",
        LN(
          MAX("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 5 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_maximum_6h",
        LN(
          MIN("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 5 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_minimum_6h",
        LN(
          AVG("t14"."movement") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 5 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) AS "log_movement_6h",
        LN(
          MAX("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 23 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_maximum_24h",
        LN(
          MIN("t14"."level") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 23 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) - "t14"."log_level" AS "log_minimum_24h",
        LN(
          AVG("t14"."movement") OVER (
            PARTITION BY "t14"."device"
            ORDER BY "t14"."hour" ASC
            ROWS BETWEEN 23 preceding AND CURRENT ROW
          ) + CAST(1.0 AS DOUBLE)
        ) AS "log_movement_24h",
        "t14"."dew",
        "t14"."dew" - LAG("t14"."dew", 1) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "dew_change_1h",
        "t14"."dew" - LAG("t14"."dew", 3) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "dew_change_3h",
        "t14"."dew" - LAG("t14"."dew", 6) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "dew_change_6h",
        "t14"."dew" - LAG("t14"."dew", 24) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "dew_change_24h",
        "t14"."temp",
        "t14"."temp" - LAG("t14"."temp", 1) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "temp_change_1h",
        "t14"."temp" - LAG("t14"."temp", 3) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "temp_change_3h",
        "t14"."temp" - LAG("t14"."temp", 6) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "temp_change_6h",
        "t14"."temp" - LAG("t14"."temp", 24) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "temp_change_24h",
        "t14"."press",
        "t14"."press" - LAG("t14"."press", 1) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "press_change_1h",
        "t14"."press" - LAG("t14"."press", 3) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "press_change_3h",
        "t14"."press" - LAG("t14"."press", 6) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "press_change_6h",
        "t14"."press" - LAG("t14"."press", 24) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "press_change_24h",
        "t14"."wind",
        "t14"."wind" - LAG("t14"."wind", 1) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "wind_change_1h",
        "t14"."wind" - LAG("t14"."wind", 3) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "wind_change_3h",
        "t14"."wind" - LAG("t14"."wind", 6) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "wind_change_6h",
        "t14"."wind" - LAG("t14"."wind", 24) OVER (PARTITION BY "t14"."device" ORDER BY "t14"."hour" ASC) AS "wind_change_24h",
        CAST("t14"."wnd_dir" = 0 AS DOUBLE) AS "direction_0",
        AVG(CAST("t14"."wnd_dir" = 0 AS DOUBLE)) OVER (
          PARTITION BY "t14"."device"
          ORDER BY "t14"."hour" ASC
          ROWS BETWEEN 11 preceding AND CURRENT ROW
        ) AS "direction_0_share_12h",
        CAST("t14"."wnd_dir" = 1 AS DOUBLE) AS "direction_1",
        AVG(CAST("t14"."wnd_dir" = 1 AS DOUBLE)) OVER (
          PARTITION BY "t14"."device"
          ORDER BY "t14"."hour" ASC
          ROWS BETWEEN 11 preceding AND CURRENT ROW
        ) AS "direction_1_share_12h",
        CAST("t14"."wnd_dir" = 2 AS DOUBLE) AS "direction_2",
        AVG(CAST("t14"."wnd_dir" = 2 AS DOUBLE)) OVER (
          PARTITION BY "t14"."device"
          ORDER BY "t14"."hour" ASC
          ROWS BETWEEN 11 preceding AND CURRENT ROW
        ) AS "direction_2_share_12h",
        CAST("t14"."wnd_dir" = 3 AS DOUBLE) AS "direction_3",
        AVG(CAST("t14"."wnd_dir" = 3 AS DOUBLE)) OVER (
          PARTITION BY "t14"."device"
          ORDER BY "t14"."hour" ASC
          ROWS BETWEEN 11 preceding AND CURRENT ROW
        ) AS "direction_3_share_12h",
        LN("t14"."snow" + CAST(1.0 AS DOUBLE)) AS "log_snow",
        LN("t14"."rain" + CAST(1.0 AS DOUBLE)) AS "log_rain",
        SIN(CAST((
          "t14"."hour" + 1
        ) % 24 AS DOUBLE) * CAST(0.2617993877991494 AS DOUBLE)) AS "day_sine_1",
        COS(CAST((
          "t14"."hour" + 1
        ) % 24 AS DOUBLE) * CAST(0.2617993877991494 AS DOUBLE)) AS "day_cosine_1",
        SIN(CAST((
          "t14"."hour" + 1
        ) % 24 AS DOUBLE) * CAST(0.5235987755982988 AS DOUBLE)) AS "day_sine_2",
        COS(CAST((
          "t14"."hour" + 1
        ) % 24 AS DOUBLE) * CAST(0.5235987755982988 AS DOUBLE)) AS "day_cosine_2",
        SIN(CAST("t14"."hour" + 1 AS DOUBLE) * CAST(0.0007167676599566035 AS DOUBLE)) AS "year_sine",
        COS(CAST("t14"."hour" + 1 AS DOUBLE) * CAST(0.0007167676599566035 AS DOUBLE)) AS "year_cosine"
      FROM (
        SELECT
          "t13"."device",
          "t13"."hour",
          "t13"."pollution",
          "t13"."dew",
          "t13"."temp",
          "t13"."press",
          "t13"."wnd_dir",
          "t13"."wnd_spd",
          "t13"."snow",
          "t13"."rain",
          "t13"."was_read",
          "t13"."target",
          "t13"."level",
          "t13"."pollution_block",
          "t13"."dew_block",
          "t13"."temp_block",
          "t13"."press_block",
          "t13"."wnd_dir_block",
          "t13"."wnd_spd_block",
          "t13"."snow_block",
          "t13"."rain_block",
          "t13"."level_block",
          LN("t13"."level" + CAST(1.0 AS DOUBLE)) AS "log_level",
          ABS(
            "t13"."level" - LAG("t13"."level", 1) OVER (PARTITION BY "t13"."device" ORDER BY "t13"."hour" ASC)
          ) AS "movement",
          LN("t13"."wnd_spd" + CAST(1.0 AS DOUBLE)) AS "wind",
          CAST("t13"."pollution" = 0 AS DOUBLE) AS "is_zero"
        FROM (
          SELECT
            "t12"."device",
            "t12"."hour",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."pollution_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."pollution") OVER (
                PARTITION BY "t12"."device", "t12"."pollution_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "pollution",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."dew_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."dew") OVER (
                PARTITION BY "t12"."device", "t12"."dew_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "dew",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."temp_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."temp") OVER (
                PARTITION BY "t12"."device", "t12"."temp_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "temp",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."press_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."press") OVER (
                PARTITION BY "t12"."device", "t12"."press_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "press",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."wnd_dir_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."wnd_dir") OVER (
                PARTITION BY "t12"."device", "t12"."wnd_dir_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "wnd_dir",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."wnd_spd_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."wnd_spd") OVER (
                PARTITION BY "t12"."device", "t12"."wnd_spd_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "wnd_spd",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."snow_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."snow") OVER (
                PARTITION BY "t12"."device", "t12"."snow_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "snow",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."rain_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 6,
              MAX("t12"."rain") OVER (
                PARTITION BY "t12"."device", "t12"."rain_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "rain",
            "t12"."was_read",
            "t12"."target",
            IF(
              (
                ROW_NUMBER() OVER (PARTITION BY "t12"."device", "t12"."level_block" ORDER BY "t12"."hour" ASC) - 1
              ) <= 72,
              MAX("t12"."level") OVER (
                PARTITION BY "t12"."device", "t12"."level_block"
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
              ),
              CAST(NULL AS DOUBLE)
            ) AS "level",
            "t12"."pollution_block",
            "t12"."dew_block",
            "t12"."temp_block",
            "t12"."press_block",
            "t12"."wnd_dir_block",
            "t12"."wnd_spd_block",
            "t12"."snow_block",
            "t12"."rain_block",
            "t12"."level_block"
          FROM (
            SELECT
              "t11"."device",
              "t11"."hour",
              "t11"."pollution",
              "t11"."dew",
              "t11"."temp",
              "t11"."press",
              "t11"."wnd_dir",
              "t11"."wnd_spd",
              "t11"."snow",
              "t11"."rain",
              "t11"."was_read",
              "t11"."target",
              "t11"."level",
              COUNT("t11"."pollution") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "pollution_block",
              COUNT("t11"."dew") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "dew_block",
              COUNT("t11"."temp") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "temp_block",
              COUNT("t11"."press") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "press_block",
              COUNT("t11"."wnd_dir") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "wnd_dir_block",
              COUNT("t11"."wnd_spd") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "wnd_spd_block",
              COUNT("t11"."snow") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "snow_block",
              COUNT("t11"."rain") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "rain_block",
              COUNT("t11"."level") OVER (
                PARTITION BY "t11"."device"
                ORDER BY "t11"."hour" ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS "level_block"
            FROM (
              SELECT
                "t10"."device",
                "t10"."hour",
                "t10"."pollution",
                "t10"."dew",
                "t10"."temp",
                "t10"."press",
                "t10"."wnd_dir",
                "t10"."wnd_spd",
                "t10"."snow",
                "t10"."rain",
                "t10"."was_read",
                LEAD("t10"."pollution", 1) OVER (PARTITION BY "t10"."device" ORDER BY "t10"."hour" ASC) AS "target",
                NULLIF("t10"."pollution", 0) AS "level"
              FROM (
                SELECT
                  "t9"."device",
                  "t9"."hour",
                  "t6"."pollution",
                  "t6"."dew",
                  "t6"."temp",
                  "t6"."press",
                  "t6"."wnd_dir",
                  "t6"."wnd_spd",
                  "t6"."snow",
                  "t6"."rain",
                  COALESCE("t6"."was_read", FALSE) AS "was_read"
                FROM (
                  SELECT
                    "t7"."device",
                    IF(_u.pos = _u_2.pos_2, _u_2."hour") AS "hour"
                  FROM (
                    SELECT
                      "t5"."device",
                      MIN("t5"."hour") AS "first",
                      MAX("t5"."hour") AS "last"
                    FROM (
                      SELECT
                        *
                      FROM "t2" AS "t3"
                      WHERE
                        "t3"."place" = 0
                    ) AS "t5"
                    GROUP BY
                      1
                  ) AS "t7"
                  CROSS JOIN UNNEST(SEQUENCE(
                    1,
                    GREATEST(
                      CARDINALITY(
                        IF(
                          NULLIF(1, 0) IS NOT NULL AND SIGN(1) = SIGN((
                            "t7"."last" + 1
                          ) - "t7"."first"),
                          ARRAY_REMOVE(SEQUENCE("t7"."first", "t7"."last" + 1, 1), "t7"."last" + 1),
                          ARRAY[]
                        )
                      )
                    )
                  )) AS _u(pos)
                  CROSS JOIN UNNEST(IF(
                    NULLIF(1, 0) IS NOT NULL AND SIGN(1) = SIGN((
                      "t7"."last" + 1
                    ) - "t7"."first"),
                    ARRAY_REMOVE(SEQUENCE("t7"."first", "t7"."last" + 1, 1), "t7"."last" + 1),
                    ARRAY[]
                  )) WITH ORDINALITY AS _u_2("hour", pos_2)
                  WHERE
                    _u.pos = _u_2.pos_2
                    OR (
                      _u.pos > CARDINALITY(
                        IF(
                          NULLIF(1, 0) IS NOT NULL AND SIGN(1) = SIGN((
                            "t7"."last" + 1
                          ) - "t7"."first"),
                          ARRAY_REMOVE(SEQUENCE("t7"."first", "t7"."last" + 1, 1), "t7"."last" + 1),
                          ARRAY[]
                        )
                      )
                      AND _u_2.pos_2 = CARDINALITY(
                        IF(
                          NULLIF(1, 0) IS NOT NULL AND SIGN(1) = SIGN((
                            "t7"."last" + 1
                          ) - "t7"."first"),
                          ARRAY_REMOVE(SEQUENCE("t7"."first", "t7"."last" + 1, 1), "t7"."last" + 1),
                          ARRAY[]
                        )
                      )
                    )
                ) AS "t9"
                LEFT OUTER JOIN (
                  SELECT
                    "t3"."device",
                    "t3"."hour",
                    "t3"."pollution",
                    "t3"."dew",
                    "t3"."temp",
                    "t3"."press",
                    "t3"."wnd_dir",
                    "t3"."wnd_spd",
                    "t3"."snow",
                    "t3"."rain",
                    TRUE AS "was_read"
                  FROM "t2" AS "t3"
                  WHERE
                    "t3"."place" = 0
                ) AS "t6"
                  ON "t9"."device" = "t6"."device" AND "t9"."hour" = "t6"."hour"
              ) AS "t10"
            ) AS "t11"
          ) AS "t12"
        ) AS "t13"
      ) AS "t14"
    ) AS "t15"
    WHERE
      "t15"."was_read"
  ) AS "t16"
) AS "t17"
ORDER BY
  "t17"."device" ASC,
  "t17"."hour" ASC

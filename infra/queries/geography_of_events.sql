-- Where events take place: by country, state and city, with the middle of their venues.
SELECT coalesce(venue_country_code, place_country_code) AS country,
       coalesce(venue_state_code, place_state_code) AS state,
       coalesce(venue_city, place_city) AS city,
       count(*) AS events,
       count(DISTINCT venue_id) AS venues,
       avg(coalesce(venue_latitude, place_latitude)) AS latitude,
       avg(coalesce(venue_longitude, place_longitude)) AS longitude
FROM ticketmaster_events
GROUP BY 1, 2, 3
ORDER BY events DESC, country, state, city
